-- For wrk: asks for the paths in a file, a line each, in turn and from the beginning again; prints what bench/client.py reads.
local requests, turn = {}, 0

function init(arguments)
  for path in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local line = "measured %d requests in %d us, p99 %d us, %d failed\n"
  io.write(line:format(summary.requests, summary.duration, latency:percentile(99), failed))
end
