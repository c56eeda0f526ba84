"""Code that speaks to one kind of device each, found through entry points. May not: know the gateway."""
