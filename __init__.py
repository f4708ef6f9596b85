"""LoRA Algebra: LoRAs as values to compute with, in ComfyUI's own graph."""

WEB_DIRECTORY = "./web"

if __package__:  # the host imports a package; tools that walk the folder do not
    from .entrypoint import comfy_entrypoint

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
