-- Gives the status of a topic an expiry that has none, unless a new client is shown it.
-- KEYS: 1 status, 2 index. ARGV: 1 topic, 2 seconds. Returns 1 if it was given one.
if redis.call('TTL', KEYS[1]) ~= -1 or redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
return redis.call('EXPIRE', KEYS[1], ARGV[2])
