"""signal_soon.py SECONDS COMMAND...: sends SIGTERM as soon as the command has used 0.3 s of CPU time, at the latest after
SECONDS, and prints the exit code and whether it used much after that."""
import os, resource, signal, subprocess, sys, time

child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def used_by_child():
    with open(f"/proc/{child.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


end = time.monotonic() + float(sys.argv[1])
while (before := used_by_child()) < 0.3 and time.monotonic() < end:
    time.sleep(0.02)
child.send_signal(signal.SIGTERM)
code = child.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
more = used.ru_utime + used.ru_stime - before
print(code, "soon" if more < 1.5 else f"after {more:.1f} s")
