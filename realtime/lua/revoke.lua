-- Marks a subject as revoked, and tells all processes. A mark never goes back to an earlier time.
-- KEYS: 1 the tenant's marks
-- ARGV: 1 subject, 2 time in ms, 3 the time before which marks are dropped, 4 the channel, 5 the message ('' for none)
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
