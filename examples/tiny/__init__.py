"""A tiny model that draws landscapes, three LoRAs for it, and how both were made."""
