-- Writes the status of a topic that has none, at the offset by which the index knows it (0: not at all). Nobody is told.
-- KEYS: 1 status, 2 index. ARGV: 1 topic, 2 text (without its opening {"offset":N), 3 ttl (0: none)
-- Returns 1 if written.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local text = '{"offset":' .. string.format('%.0f', redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0) .. ARGV[2]
if ARGV[3] == '0' then redis.call('SET', KEYS[1], text) else redis.call('SET', KEYS[1], text, 'EX', ARGV[3]) end
return 1
