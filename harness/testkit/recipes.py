"""What a LORA is."""

import json

from comfy_api.latest import io

from .reporting import ReportNode, report

Lora = io.Custom("LORA_RECIPE")


class TKRecipe(ReportNode):
    """The fingerprint of a recipe, and the recipe itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKRecipe",
            category="testkit",
            is_output_node=True,
            inputs=[Lora.Input("lora")],
        )

    @classmethod
    def execute(cls, lora: object) -> io.NodeOutput:
        return report({"fingerprint": lora.fingerprint, "recipe": json.loads(lora.to_json())})
