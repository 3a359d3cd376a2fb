-- Removes a lease that no longer belongs to a running job, unless it was renewed meanwhile.
-- KEYS: 1 leases. ARGV: 1 topic, 2 the deadline that was read. Returns 1 if removed.
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline or tonumber(deadline) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
