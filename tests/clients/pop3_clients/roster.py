"""The clients."""

from .curl import Curl
from .fetchmail import Fetchmail
from .getmail import Getmail
from .libraries import LIBRARIES
from .mpop import Mpop
from .openssl import OpenSsl
from .programs import PROGRAMS
from .python_poplib import Poplib

CLIENTS = [Curl, Poplib, Mpop, Fetchmail, Getmail, OpenSsl, *LIBRARIES, *PROGRAMS]
