"""libcurl by pycurl, all messages on one connection."""
import sys

import pycurl

host, port, user, password, delete, security, mechanism = sys.argv[1:]
curl = pycurl.Curl()
scheme = "pop3s" if security == "pop3s" else "pop3"
url = f"{scheme}://{host}:{port}/"
curl.setopt(pycurl.USERNAME, user)
curl.setopt(pycurl.PASSWORD, password)
if security:
    curl.setopt(pycurl.USE_SSL, pycurl.USESSL_ALL)
    curl.setopt(pycurl.SSL_VERIFYPEER, 0)
    curl.setopt(pycurl.SSL_VERIFYHOST, 0)
if mechanism != "user":
    curl.setopt(pycurl.LOGIN_OPTIONS, "AUTH=+APOP" if mechanism == "apop" else f"AUTH={mechanism}")
listing = bytearray()
curl.setopt(pycurl.URL, url)
curl.setopt(pycurl.WRITEFUNCTION, listing.extend)
curl.perform()
for line in listing.splitlines():
    number = int(line.split()[0])
    with open(f"out/{number}", "wb") as file:
        curl.setopt(pycurl.URL, f"{url}{number}")
        curl.setopt(pycurl.WRITEFUNCTION, file.write)
        curl.perform()
    if delete == "1":
        curl.setopt(pycurl.CUSTOMREQUEST, "DELE")
        curl.setopt(pycurl.NOBODY, 1)
        curl.perform()
        curl.setopt(pycurl.NOBODY, 0)
        curl.unsetopt(pycurl.CUSTOMREQUEST)
curl.close()
