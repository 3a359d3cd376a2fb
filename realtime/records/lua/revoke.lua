-- Marks a subject as revoked, and tells all processes. A mark never goes back to an earlier time.
-- KEYS: 1 the tenant's marks
-- ARGV: 1 subject, 2 time in ms, 3 the time before which marks are dropped, 4 the channel, 5 the message ('' for none),
--       6 how long a mark is kept, in ms
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
-- Old by two clocks, of Redis and of the caller: one of them may have been set a day ahead by mistake.
local clock = redis.call('TIME')
local oldest = math.min(tonumber(ARGV[3]), tonumber(clock[1]) * 1000 - tonumber(ARGV[6]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', oldest))
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
