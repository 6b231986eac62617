-- What wrk asks the service of benchmarks/serve.py for: the published lists of visitors by chance. wrk waits for each answer
-- before it asks again, so that its latencies are those of a service that is as busy as it can be.
--
--     python benchmarks/serve.py --visitors 10000 --seconds 5 --keep /tmp/served
--     taskset -c 0 python -m recommender serve --snapshot /tmp/served
--     taskset -c 1 wrk -t 1 -c 32 -d 10s --latency -s benchmarks/serve.lua http://127.0.0.1:8000 -- 10000
local visitors = 10000

function init(arguments)
    visitors = tonumber(arguments[1]) or visitors
end

function request()
    return wrk.format("GET", "/v1/visitors/" .. 7 * math.random(0, visitors - 1) + 3 .. "/recommendations?k=10")
end
