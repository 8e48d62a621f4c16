"""Headers as nodes told them, of forks and chains that no recording holds. Transactions are left out."""

NO_BLOOM = "0x" + 512 * "0"

# Ethereum 24630100, 2026-03-10, after Osaka: every field that a header of Ethereum has had.
OSAKA = {
    "baseFeePerGas": "0x246edf3",
    "blobGasUsed": "0x40000",
    "difficulty": "0x0",
    "excessBlobGas": "0xa2a720e",
    "extraData": "0x4275696c6465724e6574202842656176657229",
    "gasLimit": "0x3938700",
    "gasUsed": "0x1a4ed69",
    "hash": "0x6c4c6ea047f0ca4bcb0b0fbbcc2e50061d8dd24ba1ab8a22a6d3583a497c3c82",
    "logsBloom": (
        "0x"
        "fffffef97ffdf7dfb75fbbfeffffdfffffbeefffffbbffff6ffffdffbffffaf9"
        "df7fff7f7fff6ffbffffdfdffbffffff76fffffcbf7ffbfffffeefffffff7df7"
        "bffffffdefffff8fdfdf7f7ceffdffff7ff77affe7ef5ff5fbfff57ff7eeadff"
        "fffffabfff7bdffbbfbffcfffdefffeffefffffffff5fffefdffdffbffffdfdf"
        "fbffe7fffffffffdffebf7e37fdfe977f7fbdfefdffddffffffffff5f97ffffd"
        "fbffdf7fffffbff9feff77afffefffeef77ffff7fff6fffeffd77ffffeefefdb"
        "7bffffff7f7ffdfbff7ffffffffefdffdffddffffffefffffffefdfbf7fdffef"
        "7fffff3bdf7fff6cefffdfffdf7ffffeffbfbffffdafffdfbf7efdbeffff7fff"
    ),
    "miner": "0xdadb0d80178819f2319190d340ce9a924f783711",
    "mixHash": "0xf824cbc0bffaa4862fffafa96c2cce90898dda8b97fc3eaa6a85ac38075991e5",
    "nonce": "0x0000000000000000",
    "number": "0x177d354",
    "parentBeaconBlockRoot": "0xd9b957562f8477151f61eddc77bcad7451ef62eab8f4fe470402073a794e8bba",
    "parentHash": "0x63ce16602b2afe4089fa8e0a2c16be1a2dea1c4d30b65bd717d9398ddd5fba23",
    "receiptsRoot": "0x52fc280ab6b1db61781dae4cc5f81b7ddd484eae78320bdd8161d5b2fe8e7719",
    "requestsHash": "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "stateRoot": "0x41ebb402f36d0ce15799e98d1aca83bbb5d4b08d1b6572e73b388e4ece192916",
    "timestamp": "0x69b09d6b",
    "transactionsRoot": "0x3b889eb9fa0713d2e1d9e90725d45fd04ec4a550a7a390639c243c5f3b2c6215",
    "withdrawalsRoot": "0x76abcbef0846a5bd065d0207581dacc3cf8df4ec2ba0a8e4d4fbbe97864b82ee",
}

# Block 274 of a chain of the OP stack, after Canyon: one deposit (type 0x7e) that used all its gas and logged nothing.
OP_STACK = {
    "baseFeePerGas": "0x1418f329",
    "difficulty": "0x0",
    "extraData": "0x",
    "gasLimit": "0x1c9c380",
    "gasUsed": "0xb76d",
    "hash": "0xfc70e073ec6e1bb7f387698e4be418d7b1ff2216f625cdf41e1b80fb08029ef5",
    "logsBloom": NO_BLOOM,
    "miner": "0x4200000000000000000000000000000000000011",
    "mixHash": "0x8bc8a48326d9309959f2452206c1c842be9fcc9840c789845caab9d290a9700c",
    "nonce": "0x0000000000000000",
    "number": "0x112",
    "parentHash": "0xcfbc479d5f63476538db9ff15295167a6e91ecc9d6cf54be471eded689c251c9",
    "receiptsRoot": "0x8c303881b3e408cc739f55ef3e5133075d552cbec9ee987aff6b71f58cf291ee",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "stateRoot": "0x86be45fb7a22b8c12cbce8d538372b800377cc589de590b6d88f5f65dde97df8",
    "timestamp": "0x65da607b",
    "transactions": ["0x13a644af4f64ce801dcd57faa823e8952f2290b810fdd31995dda62977ed3df1"],
    "transactionsRoot": "0xb01a2ad2c1ceb76f2edcdc02f2e0453c52e24c421fb04132cdfc0da5b70a593e",
    "withdrawalsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
}
OP_DEPOSIT = {
    "blockHash": OP_STACK["hash"],
    "blockNumber": "0x112",
    "cumulativeGasUsed": "0xb76d",
    "depositNonce": "0x111",
    "depositReceiptVersion": "0x1",
    "from": "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001",
    "logs": [],
    "logsBloom": NO_BLOOM,
    "status": "0x1",
    "to": "0x4200000000000000000000000000000000000015",
    "transactionHash": "0x13a644af4f64ce801dcd57faa823e8952f2290b810fdd31995dda62977ed3df1",
    "transactionIndex": "0x0",
    "type": "0x7e",
}
