"""What can go wrong while a prompt runs."""

import os
import signal
import time

from comfy_api.latest import io


class TKTrouble(io.ComfyNode):
    """Hands on what it gets, after the trouble that it is asked for: "none", "raise", "end" (of the whole process),
    "wait" (for ``seconds``, until somebody interrupts it) or "deaf" (the same, but nothing interrupts it)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKTrouble",
            category="testkit",
            inputs=[
                io.AnyType.Input("value"),
                io.String.Input("kind", default="none"),
                io.Float.Input("seconds", default=600.0),
            ],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def execute(cls, value: object, kind: str, seconds: float) -> io.NodeOutput:
        if kind == "raise":
            raise RuntimeError("this item fails")
        if kind == "end":
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + seconds
        while kind in {"wait", "deaf"} and time.monotonic() < end:
            if kind == "wait":
                _raise_if_interrupted()
            time.sleep(0.02)
        return io.NodeOutput(value)


def _raise_if_interrupted() -> None:
    from comfy.model_management import throw_exception_if_processing_interrupted

    throw_exception_if_processing_interrupted()
