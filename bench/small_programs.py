def generated(count, seed): return []
