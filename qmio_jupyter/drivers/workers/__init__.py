"""Worker processes from a fork server: warm, limited, killed to cancel.

An agent talks to one fork server (`server`), a process that has imported everything heavy and forks a worker in
milliseconds. A worker (`worker` side of `channel`) runs one job at a time; a `Pool` feeds workers and turns their
deaths into one clear error each. Whatever a job does, it does to its worker, never to the agent.
"""
