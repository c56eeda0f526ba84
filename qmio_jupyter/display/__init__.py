"""What results, tasks and devices look like: text, HTML, JSON. Pure: values in, text out; pictures are `drawing`'s.

May not: read a clock, ask a gateway, know IPython. The notebook, the command line and the client's handles all show
the same through it.
"""
