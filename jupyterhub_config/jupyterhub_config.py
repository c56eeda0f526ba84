"""JupyterHub of a centre: a Slurm node together with a QPU session. See docs/how-to/set-up-a-hub.md."""

c = get_config()  # noqa: F821 - JupyterHub gives it

c.JupyterHub.bind_url = "http://127.0.0.1:8000"  # TLS ends at the web server before it
c.JupyterHub.hub_bind_url = "http://10.0.0.4:8081"  # the nodes reach it here
c.JupyterHub.db_url = "sqlite:////var/lib/jupyterhub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/var/lib/jupyterhub/cookie_secret"  # noqa: S105 - a path
c.JupyterHub.cleanup_servers = False  # a restart of the hub ends nobody's work
c.ConfigurableHTTPProxy.should_start = True

c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "qmio"
c.QmioSpawner.gateways = [
    {
        "endpoint": "tcp://10.0.0.5:7711",
        "server_key": "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
        "key_file": "/var/lib/jupyterhub/hub.key",
    }
]
c.QmioSpawner.python = "/opt/qmio/bin/python"
c.QmioSpawner.journal = "/var/lib/jupyterhub/qmio"
c.QmioSpawner.exec_prefix = ["/usr/bin/sudo", "-n", "-E", "-u", "{user}", "--"]
c.QmioSpawner.server_ports = "50000-50999"  # open to hub and proxy on the nodes
c.QmioSpawner.has_accounts = False  # True with slurmdbd: offers users their accounts and QOS
c.QmioSpawner.limits = {"cores": 2, "memory_mib": 4096, "walltime_min": 120, "most_walltime_min": 480}
c.QmioSpawner.profiles = [
    {
        "name": "class",
        "title": "Quantum class",
        "note": "Two cores and the emulated Qmio for two hours",
        "options": {"device": "fake-qmio", "cores": 2, "walltime_min": 120},
    },
]
c.QmioSpawner.http_timeout = 60
c.QmioSpawner.poll_interval = 15
