-- Sets an expiry on a status that has none, unless new clients are shown its topic.
-- KEYS: 1 status, 2 index. ARGV: 1 topic, 2 seconds. Returns 1 if the expiry was set, else 0.
if redis.call('TTL', KEYS[1]) ~= -1 or redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
return redis.call('EXPIRE', KEYS[1], ARGV[2])
