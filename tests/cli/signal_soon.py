"""signal_soon.py SECONDS COMMAND...: sends SIGTERM after SECONDS and prints the exit code and the CPU seconds used after that."""
import os, resource, signal, subprocess, sys, time

child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
time.sleep(float(sys.argv[1]))
with open(f"/proc/{child.pid}/stat") as file:
    fields = file.read().rsplit(")", 1)[1].split()
before = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
child.send_signal(signal.SIGTERM)
code = child.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, "soon" if used.ru_utime + used.ru_stime - before < 1.5 else f"after {used.ru_utime + used.ru_stime - before:.1f} s")
