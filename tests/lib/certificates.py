"""Certificates for servers of tests, by the openssl command."""
import os
import subprocess

NAME = "/CN=localhost"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60)


class Authority:
    """Signs certificates for localhost, by files in a folder."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.ca = self.path("ca.pem")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test authority",
                "-days", "2", "-keyout", self.path("ca.key"), "-out", self.ca)

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, serial, days=2):
        """Paths of a certificate and its key."""
        pem, key, request = (self.path(f"{name}.{end}") for end in ("pem", "key", "csr"))
        extensions = self.path("san.cnf")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", NAME, "-keyout", key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path("ca.key"),
                "-set_serial", str(serial), "-days", str(days), "-extfile", extensions,
                "-out", pem)
        return pem, key
