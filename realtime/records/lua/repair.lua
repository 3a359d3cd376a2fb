-- Writes the status of a topic that has none, with the topic's offset in the index (0: none). Publishes nothing.
-- KEYS: 1 status, 2 index. ARGV: 1 topic, 2 text (without its opening {"offset":N), 3 ttl (0: none), 4 '1' if terminal
-- Returns 1 if written, else 0. A terminal status that new clients are shown gets no expiry, whatever the ttl.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local offset = redis.call('ZSCORE', KEYS[2], ARGV[1])
local text = '{"offset":' .. string.format('%.0f', offset or 0) .. ARGV[2]
if ARGV[3] == '0' or offset and ARGV[4] == '1' then
    redis.call('SET', KEYS[1], text)
else
    redis.call('SET', KEYS[1], text, 'EX', ARGV[3])
end
return 1
