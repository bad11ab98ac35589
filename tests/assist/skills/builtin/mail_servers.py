"""Small IMAP and SMTP servers for tests: enough of the protocols to be read from and sent to."""

import base64
import re
import socketserver
import threading

LETTERS = {
    7: (
        b"From: =?utf-8?b?6rmA66+87IiY?= <minsu@example.com>\r\nTo: mina@example.com, joon@example.com\r\n"
        b"Subject: =?utf-8?b?6rKs7KCB7ISc?=\r\nDate: Fri, 20 Nov 2026 09:30:00 +0900\r\n"
        b"Message-ID: <a@example.com>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + "견적서를 보냅니다.\r\n확인 부탁드립니다.\r\n".encode(),
        True,
    ),
    9: (
        b"From: Evil <evil@example.com>\r\nTo: mina@example.com\r\nSubject: hello\r\n"
        b"Date: nonsense\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/html\r\n\r\n<style>p{}</style><p>Hi <b>there</b></p>"
        b"<script>alert(1)</script><img src=http://evil.example/t.png>\r\n"
        b"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
        b"\r\nx\r\n--x--\r\n",
        False,
    ),
}


class FakeServer:
    """A server in a thread; `lines` is what clients said."""

    def __init__(self, handler):
        self.lines = []
        self.messages = []
        server = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def say(self, line):
                self.wfile.write(line if isinstance(line, bytes) else line.encode() + b"\r\n")

            def hear(self):
                line = self.rfile.readline().rstrip(b"\r\n").decode("utf-8", "replace")
                server.lines.append(line)
                return line

            def handle(self):
                handler(self, server)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def imap(talk, server):
    talk.say("* OK ready")
    while line := talk.hear():
        tag, _, rest = line.partition(" ")
        command = rest.upper()
        if command.startswith("CAPABILITY"):
            talk.say("* CAPABILITY IMAP4rev1")
        elif command.startswith("LOGIN"):
            if '"secret"' not in rest:
                talk.say(f"{tag} NO wrong")
                continue
        elif command.startswith("EXAMINE"):
            if "INBOX" not in rest:
                talk.say(f"{tag} NO no such folder")
                continue
            talk.say("* 2 EXISTS")
        elif command.startswith("UID SEARCH"):
            words = ""
            if size := re.search(r"\{(\d+)\}$", rest):
                talk.say("+ go on")
                words = talk.rfile.read(int(size[1])).decode()
                server.lines.append(f"literal:{words}")
                talk.rfile.readline()
            found = [n for n, (text, seen) in LETTERS.items() if not ("UNSEEN" in command and seen)]
            found = [n for n in found if not words or words.encode() in LETTERS[n][0]]
            talk.say("* SEARCH " + " ".join(map(str, found)))
        elif command.startswith("UID FETCH"):
            for number in re.match(r"UID FETCH ([\d,]+)", rest)[1].split(","):
                if int(number) in LETTERS:
                    text, seen = LETTERS[int(number)]
                    text = text if "BODY.PEEK[]" in rest else text.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                    flags = "\\Seen" if seen else ""
                    talk.say(f"* 1 FETCH (UID {number} FLAGS ({flags}) BODY[] {{{len(text)}}}")
                    talk.say(text + b")\r\n")
        elif command.startswith("LOGOUT"):
            talk.say("* BYE")
            talk.say(f"{tag} OK")
            return
        talk.say(f"{tag} OK done")


def smtp(talk, server):
    talk.say("220 ready")
    while line := talk.hear():
        command = line.upper()
        if command.startswith("EHLO"):
            talk.say("250-localhost\r\n250 AUTH PLAIN")
        elif command.startswith("AUTH PLAIN"):
            good = b"secret" in base64.b64decode(line.split()[-1])
            talk.say("235 in" if good else "535 wrong")
        elif command.startswith("RCPT") and "NOBODY@" in command:
            talk.say("550 nobody")
        elif command == "DATA":
            talk.say("354 go on")
            told = []
            while (part := talk.rfile.readline()) != b".\r\n":
                told.append(part)
            server.messages.append(b"".join(told))
            talk.say("250 taken")
        elif command == "QUIT":
            talk.say("221 bye")
            return
        else:
            talk.say("250 ok")


def silent(talk, server):
    talk.hear()
