"""Listeners that ask who comes: SASL over TLS, and client certificates. Makes no certificates and starts no broker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muster_local.ports import LOOPBACK

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"

_PROPERTIES = """\
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config={plain} required {users};
listener.name.secure.scram-sha-512.sasl.jaas.config={scram} required;
ssl.keystore.type=PEM
ssl.keystore.location={certificate}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
# Who comes without a name, by the plain listener of this machine, may do everything; the others what ACLs allow them.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS{trusted}
allow.everyone.if.no.acl.found=false
"""


@dataclass(frozen=True)
class KafkaSecurity:
    """Two more ways in: SASL_SSL (PLAIN, and SCRAM-SHA-512 for who was given one), and SSL with client certificates."""

    sasl_port: int
    mutual_port: int
    #: PEM: the private key (PKCS#8) and the certificate of 127.0.0.1.
    certificate: Path
    #: PEM: who signs certificates of clients.
    authority: Path
    #: Names and passwords for PLAIN.
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Names that need no ACL.
    trusted: tuple[str, ...] = ()

    @property
    def sasl(self) -> str:
        """Bootstrap servers for SASL_SSL."""
        return f"{LOOPBACK}:{self.sasl_port}"

    @property
    def mutual(self) -> str:
        """Bootstrap servers for SSL with a client certificate."""
        return f"{LOOPBACK}:{self.mutual_port}"

    def extend(self, properties: str) -> str:
        """The broker's configuration with these listeners beside its plain one."""
        listeners = f",SECURE://{self.sasl},MUTUAL://{self.mutual}"
        lines = [
            line + (listeners if line.startswith(("listeners=", "advertised.listeners=")) else "")
            + (",SECURE:SASL_SSL,MUTUAL:SSL" if line.startswith("listener.security.protocol.map=") else "")
            for line in properties.splitlines()
        ]  # fmt: skip
        own = _PROPERTIES.format(
            plain=_PLAIN, scram=_SCRAM, certificate=self.certificate, authority=self.authority,
            users=" ".join(f'user_{name}="{password}"' for name, password in self.users.items()),
            trusted="".join(f";User:{name}" for name in self.trusted),
        )  # fmt: skip
        return "\n".join([*lines, own])
