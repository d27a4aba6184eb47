"""Work that is shared by several processes, machines or devices."""
