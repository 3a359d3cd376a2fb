-- Publishes an unfinished topic that new clients are not shown. Does nothing if they are shown it already.
-- Placed behind publish.lua, which is the function publish() here. Has the KEYS and ARGV of publish.lua, and
-- ARGV: 16 '1' to look only. Returns the verdict, or nothing if there was nothing to do.
local fence = redis.call('HGET', KEYS[6], ARGV[1])
if fence then
    local attempt, rank = string.match(fence, '^(%d+) (%d)')
    local newer = tonumber(ARGV[2]) - tonumber(attempt)
    if newer < 0 or newer == 0 and ARGV[3] <= rank then return false end
elseif redis.call('ZCARD', KEYS[4]) - redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[12]) then
    -- The index is full: this topic would push out a newer one, and the next call would show the newer one again.
    if redis.call('EXISTS', KEYS[1]) == 1 then return false end
end
if ARGV[16] == '1' then return 'accepted' end
return publish()[1]
