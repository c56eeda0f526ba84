"""Names of the Quantum Resource Management Interface (QRMI), next to ours: programs for it find their way. Pure.

A job's environment says which resources it may use (`QRMI_JOB_QPU_RESOURCES`, names between commas) and of what type
each is (`QRMI_JOB_QPU_TYPES`, in the same order). A device of ours has the type ``qmio``.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Type of our devices.
TYPE = "qmio"


def exported(device: str, *, job_id: str, uid: int) -> dict[str, str]:
    """Return the variables for a job that has a session on `device`.

    Examples
    --------
    >>> exported("fake-qmio", job_id="7", uid=2001)["QRMI_JOB_QPU_RESOURCES"]
    'fake-qmio'
    """
    return {
        "QRMI_JOB_QPU_RESOURCES": device,
        "QRMI_JOB_QPU_TYPES": TYPE,
        "QRMI_JOB_ID": job_id,
        "QRMI_JOB_UID": str(uid),
    }


def device_of(environ: Mapping[str, str]) -> str:
    """Return the first of our devices that a job's environment names so; empty if it names none.

    Examples
    --------
    >>> device_of({"QRMI_JOB_QPU_RESOURCES": "ibm_x,qmio1", "QRMI_JOB_QPU_TYPES": "qiskit-runtime-service,qmio"})
    'qmio1'
    >>> device_of({"QRMI_JOB_QPU_RESOURCES": "ibm_x", "QRMI_JOB_QPU_TYPES": "qiskit-runtime-service"})
    ''
    """
    names = environ.get("QRMI_JOB_QPU_RESOURCES", "").split(",")
    types = environ.get("QRMI_JOB_QPU_TYPES", "").split(",")
    for name, kind in zip(names, types, strict=False):
        if kind.strip() == TYPE and name.strip():
            return name.strip()
    return ""
