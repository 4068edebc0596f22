"""Dovecot with a configuration of its own; the system's service and configuration are left alone."""

import grp
import os
import pwd
import shutil
import subprocess
import sys

# What both tunings share: plain passwords, no TLS, a Maildir for each user, everything in its own folder.
COMMON = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
instance_name = measured-{port}
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
mail_location = maildir:{mail}/%u
# Else ten sessions are all that an address may have.
mail_max_userip_connections = 20000
passdb {{
  driver = passwd-file
  args = {folder}/passwd
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%u
}}
"""

# As Debian ships it: a login process for each connection and a mail process for each session.
DEFAULT = """\
service pop3-login {{
  {chroot}
  process_limit = 2000
  inet_listener pop3 {{
    port = {port}
  }}
}}
service pop3 {{
  process_limit = 2000
}}
service anvil {{
  {chroot}
  client_limit = 8000
}}
service auth {{
  client_limit = 8000
}}
"""

# What its manual names for speed: shared processes, and nothing looked up or written that POP3 can do without.
TUNED = """\
auth_cache_size = 16M
mail_fsync = never
mailbox_list_index = no
maildir_very_dirty_syncs = yes
pop3_no_flag_updates = yes
pop3_fast_size_lookups = yes
service pop3-login {{
  {chroot}
  service_count = 0
  process_min_avail = {cores}
  process_limit = {cores}
  client_limit = 10000
  vsz_limit = 0
  inet_listener pop3 {{
    port = {port}
  }}
}}
service pop3 {{
  # One user for all the mail: only so can a process serve more than one session.
  user = {uid_name}
  service_count = 0
  process_min_avail = {processes}
  process_limit = {processes}
  client_limit = 1000
  vsz_limit = 0
}}
service anvil {{
  {chroot}
  client_limit = 15000
}}
service auth {{
  client_limit = 15000
  vsz_limit = 0
}}
service stats {{
  client_limit = 15000
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def prepare(setting, tuned):
    """Writes the configuration; the command that serves by it."""
    is_root = os.geteuid() == 0
    own = pwd.getpwuid(os.geteuid())
    # Dovecot serves no mail as root, so root's mail belongs to nobody.
    owner = pwd.getpwnam("nobody") if is_root else own
    if is_root:
        for folder, _, files in os.walk(setting.mail):
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            for name in files:
                os.chown(os.path.join(folder, name), owner.pw_uid, owner.pw_gid)
    cores = os.cpu_count() or 1
    values = {
        "folder": setting.folder,
        "mail": setting.mail,
        "port": setting.port,
        "uid": owner.pw_uid,
        "gid": owner.pw_gid,
        "uid_name": owner.pw_name,
        "internal": "dovecot" if is_root else own.pw_name,
        "internal_group": "dovecot" if is_root else grp.getgrgid(own.pw_gid).gr_name,
        "login": "dovenull" if is_root else own.pw_name,
        # Only root may change the root folder.
        "chroot": "" if is_root else "chroot =",
        "cores": cores,
        "processes": 2 * cores,
    }
    text = (COMMON + (TUNED if tuned else DEFAULT)).format(**values)
    configuration = setting.folder / "dovecot.conf"
    configuration.write_text(text, encoding="ascii")
    for folder in ("run", "state"):
        (setting.folder / folder).mkdir()
    passwords = "".join(f"{user}:{{PLAIN}}{setting.password}\n" for user in setting.users)
    (setting.folder / "passwd").write_text(passwords, encoding="ascii")
    return [_program(), "-F", "-c", str(configuration)]


def version():
    """Its version, as it tells it."""
    output = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True)
    return "Dovecot " + output.stdout.split()[0]


def find_or_install():
    """Makes sure that there is a Dovecot; as root on Debian it is installed where it is missing."""
    if _program() and os.path.exists("/usr/lib/dovecot/pop3"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # Installed, it must not start serving by itself: the policy is for this one command.
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "-y", "dovecot-pop3d"]):
            subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    if not _program():
        sys.exit("compare: no Dovecot: install Debian's dovecot-pop3d, or leave it out by --only pop3d")


def _program():
    return shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

