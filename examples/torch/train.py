"""A network of PyTorch as the learner of a train step: docs/command.md has the contract.

It tells its loss while it trains, keeps checkpoints and goes on from them.
"""

import csv
import json
import os
import sys

import torch

parameters = json.load(open('parameters.json', encoding='utf-8'))
numbers = parameters['numbers']
torch.manual_seed(parameters['seed'])
torch.set_num_threads(parameters['threads'])

names, classes = parameters['features'], parameters['classes']
model = torch.nn.Sequential(torch.nn.Linear(len(names), int(numbers['units'])), torch.nn.Tanh(),
                            torch.nn.Linear(int(numbers['units']), len(classes)))


def read(path):
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def inputs(rows):
    return torch.tensor([[float(row[name]) for name in names] for row in rows])


def train():
    rows = read('train.csv')
    x = inputs(rows)
    y = torch.tensor([classes.index(row[parameters['target']]) for row in rows])
    optimizer = torch.optim.Adam(model.parameters(), lr=numbers['rate'])
    first, epochs = 0, int(numbers['epochs'])
    if os.path.exists('checkpoint/state.pt'):
        state = torch.load('checkpoint/state.pt')
        model.load_state_dict(state['model'])
        optimizer.load_state_dict(state['optimizer'])
        first = state['epoch'] + 1
    with open('metrics.jsonl', 'a', encoding='utf-8') as words:
        for epoch in range(first, epochs):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if epoch % 50 and epoch + 1 < epochs:
                continue
            torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(),
                        'epoch': epoch}, 'checkpoint/new.pt')
            os.replace('checkpoint/new.pt', 'checkpoint/state.pt')
            for word in ({'metric': 'loss', 'value': loss.item(), 'step': epoch},
                         {'progress': (epoch + 1) / epochs}, {'checkpoint': epoch}):
                print(json.dumps(word), file=words, flush=True)
    torch.save(model.state_dict(), 'model/network.pt')


def predict():
    model.load_state_dict(torch.load('model/network.pt'))
    with torch.no_grad():
        probabilities = torch.softmax(model(inputs(read('rows.csv'))).double(), 1)
    with open('predictions.csv', 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(classes)
        writer.writerows(probabilities.tolist())


train() if sys.argv[1] == 'train' else predict()
