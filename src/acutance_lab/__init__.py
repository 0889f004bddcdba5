"""The laboratory of Acutance: training, synthesis of training pictures, benchmarks, experiments; `acutance-lab`."""
