"""Links: ZeroMQ with CURVE, and an in-memory one for the simulator. May not: look into a message's body."""
