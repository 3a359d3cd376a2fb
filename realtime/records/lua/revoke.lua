-- Marks a subject as revoked, and publishes that to all processes. A mark is never set to an earlier time.
-- KEYS: 1 the tenant's marks
-- ARGV: 1 subject, 2 time in ms, 3 the time before which marks are removed, 4 the channel, 5 the message ('' for none),
--       6 how long a mark is kept, in ms
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
-- A mark is old if both clocks say so, Redis' and the caller's: one of them may be a day ahead by mistake.
local clock = redis.call('TIME')
local oldest = math.min(tonumber(ARGV[3]), tonumber(clock[1]) * 1000 - tonumber(ARGV[6]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', oldest))
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
