-- Reads single topics of a tenant, whether or not new clients are shown them.
-- KEYS: 1 feed, then the status and the progress key of each topic. ARGV: 1 a new epoch, used if one is needed
-- Returns epoch, offset, then status text and progress of each topic in turn.
local epoch, offset = open_feed(KEYS[1], ARGV[1])
local answer = {epoch, offset}
local CHUNK = 1000 -- unpack has a limit
for first = 2, #KEYS, CHUNK do
    for _, value in ipairs(redis.call('MGET', unpack(KEYS, first, math.min(first + CHUNK - 1, #KEYS)))) do
        answer[#answer + 1] = value
    end
end
return answer
