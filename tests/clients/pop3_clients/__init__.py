"""What tests/clients/run is made of: the mail, the server, the clients, and how they are combined."""
