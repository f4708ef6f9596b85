"""What stands in for a text encoder: sliders instead of a prompt."""

from comfy_api.latest import ComfyExtension, io

from .condition import ATTRIBUTES, condition

TOOLTIPS = {
    "sun": "Where the sun stands: 0 is left, 1 is right.",
    "height": "How high the sun stands.",
    "hour": "0 is dawn, 0.5 is noon, 1 is dusk.",
    "hills": "0 is flat, 1 is steep.",
    "trees": "From none to many.",
    "lake": "From none to large.",
}


class TinyScene(io.ComfyNode):
    """The conditioning of the tiny landscape model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TinyScene",
            display_name="Tiny Scene",
            category="examples/tiny",
            inputs=[
                io.Float.Input(name, default=0.5, min=0.0, max=1.0, step=0.05, tooltip=tooltip)
                for name, tooltip in TOOLTIPS.items()
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, **values: float) -> io.NodeOutput:
        tokens, pooled = condition([values[name] for name in ATTRIBUTES])
        return io.NodeOutput([[tokens, {"pooled_output": pooled}]])


class TinyExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [TinyScene]
