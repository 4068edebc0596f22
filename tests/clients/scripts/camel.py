"""Evolution's Camel, by GObject introspection."""
import glob
import os
import sys

import gi

gi.require_version("Camel", "1.2")
from gi.repository import Camel

host, port, user, password, delete, security, mechanism = sys.argv[1:]
Camel.init(os.getcwd(), True)
Camel.provider_init()


class Session(Camel.Session):
    def do_authenticate_sync(self, service, mechanism, cancellable):
        service.set_password(password)
        result = service.authenticate_sync(mechanism, cancellable)
        return result == Camel.AuthenticationResult.ACCEPTED

    def do_trust_prompt(self, service, certificate, errors):
        return Camel.CertTrust.TEMPORARY


session = Session(user_data_dir=os.getcwd() + "/data", user_cache_dir=os.getcwd() + "/cache")
session.set_online(True)
service = session.add_service("pop", "pop", Camel.ProviderType.STORE)
settings = service.ref_settings()
settings.set_host(host)
settings.set_port(int(port))
settings.set_user(user)
settings.set_auth_mechanism({"user": None, "apop": "+APOP"}.get(mechanism, mechanism))
settings.set_security_method(
    {
        "": Camel.NetworkSecurityMethod.NONE,
        "stls": Camel.NetworkSecurityMethod.STARTTLS_ON_STANDARD_PORT,
        "pop3s": Camel.NetworkSecurityMethod.SSL_ON_ALTERNATE_PORT,
    }[security]
)
settings.set_property("keep-on-server", delete != "1")
service.connect_sync(None)
folder = service.get_folder_sync("inbox", 0, None)
folder.refresh_info_sync(None)
for number, uid in enumerate(folder.get_uids(), 1):
    folder.get_message_sync(uid, None)
    # What it keeps is what was sent, with an octet behind it that says that all of it is there.
    (kept,) = glob.glob(f"data/pop/cache/*/{glob.escape(uid)}")
    with open(kept, "rb") as source, open(f"out/{number}", "wb") as file:
        file.write(source.read())
    if delete == "1":
        folder.set_message_flags(uid, Camel.MessageFlags.DELETED, Camel.MessageFlags.DELETED)
folder.synchronize_sync(delete == "1", None)
service.disconnect_sync(True, None)
