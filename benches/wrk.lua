-- One line of numbers: requests, microseconds, errors of any kind.
done = function(summary)
  local e = summary.errors
  io.write(string.format("result %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
