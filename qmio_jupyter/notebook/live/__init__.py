"""The live view of a cell: what is shown while its task waits and runs, on whatever the cell's output goes to.

``director`` decides when something is shown, ``screens`` how: as a widget where its front end is known to take one, as
HTML that replaces itself elsewhere, as a line in a terminal. ``widget`` imports anywidget, when the first one is made.
"""
