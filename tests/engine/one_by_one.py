"""The test runner of the repositories in these tests: small, quick, and with a report per test."""

RUNNER = """
import importlib.util, os, pathlib, sys, traceback
from xml.sax.saxutils import quoteattr
cases, red = [], False
for path in sorted(pathlib.Path(".").rglob("test_*.py")):
    name = ".".join(path.with_suffix("").parts)
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        cases.append(f'<testcase classname="" name={quoteattr(name)}><error/></testcase>')
        red = True
        continue
    for test in [n for n in vars(module) if n.startswith("test_")]:
        inside = ""
        try:
            getattr(module, test)()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            inside, red = "<failure/>", True
        where = quoteattr(name)
        cases.append(f'<testcase classname={where} name={quoteattr(test)}>{inside}</testcase>')
report = f'<testsuite>{"".join(cases)}</testsuite>'
if "MUSTER_JUNIT" in os.environ:
    pathlib.Path(os.environ["MUSTER_JUNIT"]).write_text(report)
sys.exit(red)
"""
