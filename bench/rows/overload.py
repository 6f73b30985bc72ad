def measure_tail(bench): pass
def measure_storm(bench): pass
