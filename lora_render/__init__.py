"""Renders a workflow once for each row of a table, on every GPU and machine there is.

The optional part of the command line (``lora-algebra[render]``): Ray runs it, pyarrow writes its tables. ComfyUI
is started as a program, or asked over HTTP; nothing of it is imported here.
"""
