-- Removes nicks of nodes that are gone, some at a time. ARGV: 2 where to go on, 3 how many at once,
-- about. Answers where to go on ('0': that was all), and the keys of the asking node.
local page = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local answer = {page[1]}
for at = 1, #page[2], 2 do
    local other = holder(page[2][at + 1])
    if other == node then
        answer[#answer + 1] = page[2][at]
    elseif not is_live(other) then
        redis.call('HDEL', KEYS[1], page[2][at])
    end
end
return answer
