"""Pictures: histograms, overlays, the chip map, timelines, line plots; one drawing for live and static, light and dark.

Owns `Drawing` (a complete SVG, what may be hovered in it, and one sentence for who cannot see it) and everything that
makes one. Pure: values in, text out; equal input gives equal bytes. May not: do I/O, read a clock, import anything but
the standard library, msgspec, `model` and `errors`, put a script or a reference to another file into an SVG, or let
text of a user into it unescaped.
"""
