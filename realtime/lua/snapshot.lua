-- Reads a tenant's feed: everything a new client is shown, or what changed above an offset of the same epoch.
-- KEYS: 1 feed, 2 index
-- ARGV: 1 epoch known ('' for none), 2 offset known, 3 a new epoch, should one be needed,
--       4 what the tenant's keys begin with, 5 suffix of status keys, 6 suffix of progress keys
-- Returns epoch, offset, floor, whole ('1' if everything follows), then status text and progress of each topic in turn.
local epoch, offset = open_feed(KEYS[1], ARGV[3])
local floor = redis.call('HGET', KEYS[1], 'floor') or '0'
local known = tonumber(ARGV[2])
local whole = ARGV[1] ~= epoch or known < tonumber(floor) or known > tonumber(offset)
local topics = redis.call('ZRANGEBYSCORE', KEYS[2], whole and '-inf' or '(' .. ARGV[2], '+inf')
local answer = {epoch, offset, floor, whole and '1' or '0'}
local CHUNK = 500 -- two keys each: unpack has a limit
for first = 1, #topics, CHUNK do
    local keys = {}
    for position = first, math.min(first + CHUNK - 1, #topics) do
        keys[#keys + 1] = ARGV[4] .. topics[position] .. ARGV[5]
        keys[#keys + 1] = ARGV[4] .. topics[position] .. ARGV[6]
    end
    for _, value in ipairs(redis.call('MGET', unpack(keys))) do
        answer[#answer + 1] = value
    end
end
return answer
