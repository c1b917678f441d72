-- What wrk sends: the prepared events in turn, one body a line in the file that it is given; at the end one line of JSON.
--   wrk … -s bench/wrk.lua <url> -- <file> <API key>

local requests = {}
local turn = 0

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[2]
  for body in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format(nil, nil, nil, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '{"answered":%d,"refused":%d,"broken":%d,"seconds":%.6f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6
  ))
end
