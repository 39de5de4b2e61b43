"""One file for each protocol. The only places that send anything."""
