-- Returns how long a topic's lease still runs, in milliseconds; 0 if it has none. KEYS: 1 leases. ARGV: 1 topic.
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline then return 0 end
local clock = redis.call('TIME')
return math.max(0, math.floor((tonumber(deadline) - tonumber(clock[1]) - tonumber(clock[2]) / 1000000) * 1000))
