_mecapy_settle()
