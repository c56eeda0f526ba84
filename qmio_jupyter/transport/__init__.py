"""Links: ZeroMQ with CURVE. May not: look into a message's body, or decide who may do what.

Owns: sockets and their traps. What a loop must know of the file descriptors given out here:

- They are **edge-triggered**: readable means "look again", not "a message is here". A descriptor may fall
  silent while messages wait, because *any* call on the socket, a send included, takes the edge away.
- So after every wake-up, **and after every send**, ask ``ready()``; while it is true call ``receive()``.
  ``receive()`` stops after a bounded number of messages and then sets ``needs_another_turn``: serve the
  others and call it again without waiting for the descriptor. A blocking caller uses ``poll()`` instead.

Sockets belong to the thread (or loop) that made them, and die in a forked child: using one there raises.
"""
