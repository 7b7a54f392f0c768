-- Gives nicks back and claims others. ARGV: 2 how many keys are given back, and those; then of each
-- nick that is claimed how many keys it has, and those. A nick is granted if no other live node
-- holds one of its keys. Which user of a node has it is the node's to know.
-- Answers of each nick whether it is granted.
local at = 3
for _ = 1, tonumber(ARGV[2]) do
    if redis.call('HGET', KEYS[1], ARGV[at]) == node then
        redis.call('HDEL', KEYS[1], ARGV[at])
    end
    at = at + 1
end
local answer = {}
while at <= #ARGV do
    local last = at + tonumber(ARGV[at])
    local is_free = true
    for key = at + 1, last do
        local holder = redis.call('HGET', KEYS[1], ARGV[key])
        if holder and holder ~= node and is_live(holder) then
            is_free = false
        end
    end
    if is_free then
        for key = at + 1, last do
            redis.call('HSET', KEYS[1], ARGV[key], node)
        end
    end
    answer[#answer + 1] = is_free and '1' or '0'
    at = last + 1
end
return answer
