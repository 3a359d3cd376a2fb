-- Renews the lease of a running attempt, by Redis' clock. Does nothing for an attempt that ended or was superseded.
-- KEYS: 1 leases, 2 fence. ARGV: 1 topic, 2 attempt, 3 seconds. Returns 1 if renewed, else 0.
local fence = redis.call('HGET', KEYS[2], ARGV[1])
if fence then
    local attempt, rank = string.match(fence, '^(%d+) (%d)')
    if tonumber(attempt) > tonumber(ARGV[2]) or rank == '2' then return 0 end
end
local clock = redis.call('TIME')
redis.call('ZADD', KEYS[1], tonumber(clock[1]) + tonumber(clock[2]) / 1000000 + tonumber(ARGV[3]), ARGV[1])
return 1
