-- Removes the lease of a topic that is not running any more, unless the lease was renewed after the caller read it.
-- KEYS: 1 leases. ARGV: 1 topic, 2 the deadline that the caller read. Returns 1 if the lease was removed, else 0.
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline or tonumber(deadline) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
